<#
.SYNOPSIS
    Reads what software-update synchronisation is set to on this server, as JSON of the form supwatch/dump/v1.
.DESCRIPTION
    Reads the site's provider, the WSUS interface, IIS, services and the registry, changes nothing, and gives the values
    as they stand: supwatch-agent decides what they mean. Each section is read for itself; one that cannot be read is
    given with the reason. Of accounts only whether one is set is read out: no names, no passwords.
    Needs Windows PowerShell 5.1, and rights to read the provider (Read-only Analyst) and WSUS (WSUS Reporters).
.PARAMETER SiteCode
    The site; without it the one whose server this is.
.PARAMETER UpdateServer
    The WSUS server to ask; without it all software update points of the site, or the WSUS on this server.
.PARAMETER Port
    Port of -UpdateServer.
.PARAMETER UseSsl
    Whether -UpdateServer is asked over SSL.
.PARAMETER OutFile
    File to write, at once and in whole; without it the JSON goes to standard output.
.EXAMPLE
    powershell.exe -NoProfile -ExecutionPolicy RemoteSigned -File Get-SyncSettings.ps1 -OutFile C:\supwatch\P01\settings.json
#>
[CmdletBinding()]
param(
    [ValidatePattern('^[A-Za-z0-9]{3}$')][string]$SiteCode,
    [string]$UpdateServer,
    [ValidateRange(1, 65535)][int]$Port = 8530,
    [switch]$UseSsl,
    [string]$OutFile
)
$ErrorActionPreference = 'Stop'
$computer = [System.Net.Dns]::GetHostEntry('').HostName
$sections = [ordered]@{}

# A reason is told without what could be the name of an account: what is quoted, DOMAIN\name, name@domain.
function Read-Section([string]$Name, [scriptblock]$Read) {
    try {
        $sections[$Name] = [ordered]@{ ok = $true; data = @(& $Read) }
    } catch {
        $cause = $_.Exception.GetBaseException()
        $text = $cause.Message -replace '''[^'']*''|"[^"]*"|\S*[\\@]\S*', '<name>'
        $sections[$Name] = [ordered]@{ ok = $false; reason = '{0}: {1}' -f $cause.GetType().Name, $text }
    }
}

# 32-bit programs (Configuration Manager 2007) have their keys below Wow6432Node.
function Read-Key([string]$Path, [string[]]$Names) {
    $found = @('HKLM:\SOFTWARE', 'HKLM:\SOFTWARE\Wow6432Node') | ForEach-Object { "$_\$Path" } | Where-Object { Test-Path $_ }
    if (-not $found) { throw "there is no key HKLM:/SOFTWARE/$Path".Replace('\', '/') }
    Get-ItemProperty -Path @($found)[0] | Select-Object -Property $Names
}

function Read-Provider([string]$Query) {
    $location = Get-WmiObject -Namespace 'root\SMS' -Class SMS_ProviderLocation | Where-Object { $_.ProviderForLocalSite }
    $namespace = 'root\SMS\site_' + @($location)[0].SiteCode
    Get-WmiObject -ComputerName @($location)[0].Machine -Namespace $namespace -Query $Query
}

# Only properties that are named here are read out, and of accounts only whether there is one.
function Read-Props($Props, [string[]]$Names, [string[]]$Accounts) {
    foreach ($prop in $Props) {
        if ($Names -contains $prop.PropertyName) {
            $prop | Select-Object -Property @('PropertyName', 'Value', 'Value1', 'Value2')
        } elseif ($Accounts -contains $prop.PropertyName) {
            [pscustomobject]@{ PropertyName = $prop.PropertyName; set = [bool]"$($prop.Value1)$($prop.Value2)" }
        }
    }
}

function Read-Component([string]$Name, [string[]]$Names) {
    Read-Provider "SELECT * FROM SMS_SCI_Component WHERE FileType=2 AND SiteCode='$code' AND ComponentName='$Name'" |
        ForEach-Object { [pscustomobject]@{ ItemName = $_.ItemName; Props = @(Read-Props $_.Props $Names @()) } }
}

function Read-Categories($Categories) {
    $Categories | ForEach-Object { [pscustomobject]@{ Id = "$($_.Id)"; Title = $_.Title; Type = "$($_.Type)" } }
}

function Read-Wsus([string]$Server, [bool]$Ssl, [int]$At) {
    $null = [System.Reflection.Assembly]::LoadWithPartialName('Microsoft.UpdateServices.Administration')
    $proxy = [Microsoft.UpdateServices.Administration.AdminProxy]
    $wsus = if ($Server) { $proxy::GetUpdateServer($Server, $Ssl, $At) } else { $proxy::GetUpdateServer() }
    $set = $wsus.GetConfiguration()
    $subscription = $wsus.GetSubscription()
    $last = $subscription.GetLastSynchronizationInfo()
    [pscustomobject]@{
        Server = if ($Server) { $Server } else { $computer }
        Version = "$($wsus.Version)"
        Configuration = $set | Select-Object -Property @('SyncFromMicrosoftUpdate', 'IsReplicaServer', 'UpstreamWsusServerName',
            'UpstreamWsusServerPortNumber', 'UpstreamWsusServerUseSsl', 'UseProxy', 'ProxyName', 'ProxyServerPort',
            'AnonymousProxyAccess', 'AllUpdateLanguagesEnabled')
        EnabledUpdateLanguages = @($set.GetEnabledUpdateLanguages())
        UpdateCategories = @(Read-Categories $subscription.GetUpdateCategories())
        UpdateClassifications = @(Read-Categories $subscription.GetUpdateClassifications())
        SynchronizationStatus = "$($subscription.GetSynchronizationStatus())"
        LastSynchronization = [pscustomobject]@{
            StartTime = $last.StartTime.ToString('s') + 'Z'
            EndTime = $last.EndTime.ToString('s') + 'Z'
            StartedManually = $last.StartedManually
            Result = "$($last.Result)"
        }
    }
}

Read-Section 'site' { Read-Key 'Microsoft\SMS\Identification' 'Site Code', 'Site Server', 'Site Type' }
$code = if ($SiteCode) { $SiteCode } elseif ($sections['site'].ok) { $sections['site'].data[0].'Site Code' }
Read-Section 'sites' {
    Read-Provider 'SELECT * FROM SMS_Site' | Select-Object -Property @('SiteCode', 'ReportingSiteCode', 'Type', 'Version')
}
Read-Section 'sups' {
    $roles = "RoleName='SMS Software Update Point' OR RoleName='SMS Site System'"
    Read-Provider "SELECT * FROM SMS_SCI_SysResUse WHERE FileType=2 AND SiteCode='$code' AND ($roles)" | ForEach-Object {
        [pscustomobject]@{
            RoleName = $_.RoleName; SiteCode = $_.SiteCode; NetworkOSPath = $_.NetworkOSPath
            Props = @(Read-Props $_.Props @('UseProxy', 'ProxyName', 'ProxyServerPort', 'AnonymousProxyAccess', 'IsIntranet',
                'IsINF', 'WSUSIISPort', 'WSUSIISSSLPort', 'SSLWSUS', 'UseParentWSUS') @('UserName', 'WSUSAccessAccount'))
        }
    }
}
Read-Section 'configuration_manager' {
    Read-Component 'SMS_WSUS_CONFIGURATION_MANAGER' @('DefaultWSUS', 'DefaultUseParentWSUS', 'ParentWSUS', 'ParentWSUSPort',
        'SSLToParentWSUS', 'SupportedTitleLanguages', 'SupportedUpdateLanguages')
}
Read-Section 'sync_manager' { Read-Component 'SMS_WSUS_SYNC_MANAGER' @('Sync Schedule') }
Read-Section 'categories' {
    Read-Provider 'SELECT * FROM SMS_UpdateCategoryInstance WHERE IsSubscribed=1' |
        Select-Object -Property @('CategoryInstance_UniqueID', 'LocalizedCategoryInstanceName', 'CategoryTypeName', 'SourceSite')
}
Read-Section 'sup_status' {
    Read-Provider 'SELECT * FROM SMS_SUPSyncStatus' | Select-Object -Property @('SiteCode', 'WSUSServerName',
        'WSUSSourceServer', 'SyncCatalogVersion', 'LastSyncState', 'LastSyncErrorCode', 'LastSuccessfulSyncTime')
}
Read-Section 'wcm_state' { Read-Key 'Microsoft\SMS\COMPONENTS\SMS_WSUS_CONFIGURATION_MANAGER' 'ConfigurationState' }
Read-Section 'console' {
    $assembly = [System.Reflection.Assembly]::LoadWithPartialName('Microsoft.UpdateServices.Administration')
    $version = if ($assembly) { [System.Diagnostics.FileVersionInfo]::GetVersionInfo($assembly.Location).FileVersion }
    [pscustomobject]@{ Installed = [bool]$assembly; Version = $version }
}
$points = @()
if ($sections['sups'].ok) { $points = @($sections['sups'].data | Where-Object { $_.RoleName -eq 'SMS Software Update Point' }) }
if ($UpdateServer) {
    Read-Section 'wsus' { Read-Wsus $UpdateServer $UseSsl.IsPresent $Port }
} elseif (-not $points) {
    Read-Section 'wsus' { Read-Wsus '' $false 0 }
}
foreach ($point in @($points | Where-Object { -not $UpdateServer })) {
    $server = $point.NetworkOSPath.Trim('\')
    $set = @{}
    $point.Props | ForEach-Object { if (-not $_.set) { $set[$_.PropertyName] = $_.Value } }
    $at = if ($set['SSLWSUS']) { $set['WSUSIISSSLPort'] } else { $set['WSUSIISPort'] }
    Read-Section "wsus@$server" { Read-Wsus $server ([bool]$set['SSLWSUS']) $at }
}
Read-Section 'wsus_setup' {
    Read-Key 'Microsoft\Update Services\Server\Setup' 'SqlServerName', 'SqlDatabaseName', 'UsingSSL', 'VersionString', 'PortNumber'
}
Read-Section 'iis' {
    Import-Module -Name WebAdministration
    foreach ($site in @(Get-Website)) {
        $services = Get-WebApplication -Site $site.Name -Name 'ApiRemoting30'
        if (-not $services) { continue }
        $pool = @($services)[0].applicationPool
        $limits = Get-ItemProperty -Path "IIS:\AppPools\$pool"
        [pscustomobject]@{
            Name = $site.Name
            Bindings = @($site.Bindings.Collection | Select-Object -Property @('protocol', 'bindingInformation'))
            SslFlags = @('ApiRemoting30', 'ClientWebService', 'Content', 'DSSAuthWebService', 'Inventory', 'ReportingWebService',
                'SelfUpdate', 'ServerSyncWebService', 'SimpleAuthWebService' | ForEach-Object {
                    $flags = Get-WebConfigurationProperty -PSPath 'MACHINE/WEBROOT/APPHOST' -Location "$($site.Name)/$_" `
                        -Filter 'system.webServer/security/access' -Name sslFlags
                    [pscustomobject]@{ Directory = $_; Flags = "$(if ($flags -is [string]) { $flags } else { $flags.Value })" }
                })
            Pool = [pscustomobject]@{ Name = $pool; State = (Get-WebAppPoolState -Name $pool).Value
                PrivateMemory = $limits.recycling.periodicRestart.privateMemory; QueueLength = $limits.queueLength }
        }
    }
}
Read-Section 'services' {
    Get-Service | Where-Object { 'WsusService', 'W3SVC', 'IISADMIN', 'WAS' -contains $_.Name } |
        ForEach-Object { [pscustomobject]@{ Name = $_.Name; Status = "$($_.Status)" } }
}
Read-Section 'database' {
    $server = (Read-Key 'Microsoft\Update Services\Server\Setup' 'SqlServerName').SqlServerName
    $source = switch -Wildcard ($server) {
        '*##WID' { 'np:\\.\pipe\MICROSOFT##WID\tsql\query' }
        '*##SSEE' { 'np:\\.\pipe\MSSQL$MICROSOFT##SSEE\sql\query' }
        default { $server }
    }
    $answers = [System.Data.DataSet]::new()
    $query = 'EXEC spGetFrontEndServers; SELECT value_in_use FROM sys.configurations WHERE name = ''max server memory (MB)'''
    $where = "Server=$source;Database=SUSDB;Integrated Security=SSPI"
    $null = [System.Data.SqlClient.SqlDataAdapter]::new($query, $where).Fill($answers)
    [pscustomobject]@{ SqlServerName = $server; FrontEndServers = $answers.Tables[0].Rows.Count
        MaxServerMemory = $answers.Tables[1].Rows[0][0] }
}

$now = [datetime]::UtcNow.ToString('s') + 'Z'
$dump = [ordered]@{ schema = 'supwatch/dump/v1'; taken_at = $now; computer = $computer; site = $code; sections = $sections }
$bytes = [System.Text.UTF8Encoding]::new($false).GetBytes(($dump | ConvertTo-Json -Depth 8 -Compress))
if ($OutFile) {
    $path = $PSCmdlet.GetUnresolvedProviderPathFromPSPath($OutFile)
    [System.IO.File]::WriteAllBytes("$path.new", $bytes)
    Move-Item -LiteralPath "$path.new" -Destination $path -Force
} else {
    [System.Console]::OpenStandardOutput().Write($bytes, 0, $bytes.Length)
}
